aictl_unit_test(NAME policy MIN 24
  SOURCES policy_names.c policy_precedence.c
  FOLDERS policy base proto
  LIBS PkgConfig::MSGPACK PkgConfig::CJSON)
