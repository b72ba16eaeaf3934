aictl_unit_test(NAME ir MIN 95
  SOURCES ir_answer.c ir_call_id.c ir_estimate.c ir_losses.c ir_request.c ir_text.c ir_usage.c ir_lifecycle.c ir_trace.c ir_writer.c ir_writer_call.c ir_writer_random.c ../support/lifecycle.c
  FOLDERS ir base proto
  LIBS PkgConfig::MSGPACK PkgConfig::CJSON)
