aictl_unit_test(NAME dialect MIN 109
  SOURCES dialect_anthropic_answer.c dialect_anthropic_decode.c dialect_anthropic_encode.c dialect_anthropic_strip.c dialect_chat_answer.c dialect_chat_answer_encode.c dialect_chat_reading.c
          dialect_chat_request.c dialect_error.c dialect_request.c dialect_tap.c "${CMAKE_SOURCE_DIR}/tests/support/lifecycle.c"
  FOLDERS dialect ir base proto
  LIBS PkgConfig::MSGPACK PkgConfig::CJSON)

# Event framing alone, without the libraries of the rest of net/.
aictl_unit_test(NAME sse MIN 6
  SOURCES net_sse.c "${CMAKE_SOURCE_DIR}/daemon/net/sse.c"
  FOLDERS base proto
  LIBS PkgConfig::MSGPACK PkgConfig::CJSON)
