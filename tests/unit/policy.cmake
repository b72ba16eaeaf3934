aictl_unit_test(NAME policy MIN 27
  SOURCES policy_names.c policy_precedence.c policy_retry.c
  FOLDERS policy base proto
  LIBS PkgConfig::MSGPACK PkgConfig::CJSON)
