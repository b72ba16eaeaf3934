aictl_unit_test(NAME proto
  SOURCES proto_wire.c
  FOLDERS proto
  LIBS PkgConfig::MSGPACK PkgConfig::CJSON
  MIN 17)
