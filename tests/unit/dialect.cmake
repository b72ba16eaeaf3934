aictl_unit_test(NAME dialect MIN 33
  SOURCES dialect_error.c dialect_request.c dialect_tap.c
  FOLDERS dialect ir base proto
  LIBS PkgConfig::MSGPACK PkgConfig::CJSON)

# Event framing alone, without the libraries of the rest of net/.
aictl_unit_test(NAME sse MIN 6
  SOURCES net_sse.c "${CMAKE_SOURCE_DIR}/daemon/net/sse.c"
  FOLDERS base proto
  LIBS PkgConfig::MSGPACK PkgConfig::CJSON)
