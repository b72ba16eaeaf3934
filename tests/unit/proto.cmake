aictl_unit_test(NAME proto MIN 21
  SOURCES proto_tables.c proto_wire.c
  FOLDERS proto
  LIBS PkgConfig::MSGPACK PkgConfig::CJSON)

# docs/PROTOCOL.md is made from the tables; the limits of parameters are the daemon's.
add_executable(protocol_md "${CMAKE_SOURCE_DIR}/tests/support/protocol_md.c"
  "${CMAKE_SOURCE_DIR}/daemon/control/params.c" $<TARGET_OBJECTS:base> $<TARGET_OBJECTS:proto>)
target_link_libraries(protocol_md PRIVATE aictl_flags PkgConfig::MSGPACK PkgConfig::CJSON)
aictl_add_test(NAME docs_protocol LABELS unit
  COMMAND protocol_md "${CMAKE_SOURCE_DIR}/docs/PROTOCOL.md")
