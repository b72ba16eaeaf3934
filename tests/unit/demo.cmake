aictl_unit_test(NAME demo MIN 8
  SOURCES demo.c net_wire.c
  FOLDERS demo net dialect ir base proto
  LIBS llhttp PkgConfig::UV PkgConfig::CURL PkgConfig::MSGPACK PkgConfig::CJSON Threads::Threads)
