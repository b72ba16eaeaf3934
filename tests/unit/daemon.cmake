# What stands in daemon/ itself belongs to no folder's library: its source is compiled in.
aictl_unit_test(NAME daemon_harden MIN 5
  SOURCES daemon_harden.c ../../daemon/harden.c
  FOLDERS base proto
  LIBS PkgConfig::MSGPACK PkgConfig::CJSON)
