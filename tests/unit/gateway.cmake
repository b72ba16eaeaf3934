aictl_unit_test(NAME gateway MIN 46
  SOURCES gateway_choice.c gateway_endpoint.c gateway_form.c gateway_guard.c gateway_memory.c
          gateway_refusal.c gateway_scrub.c
  FOLDERS gateway net state dialect policy ir base proto
  LIBS llhttp PkgConfig::UV PkgConfig::CURL PkgConfig::MSGPACK PkgConfig::CJSON PkgConfig::SODIUM
       Threads::Threads)
