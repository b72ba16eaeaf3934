aictl_unit_test(NAME base MIN 38
  SOURCES base_bytes.c base_err.c base_file.c base_json.c base_json_text.c
  FOLDERS base proto
  LIBS PkgConfig::MSGPACK PkgConfig::CJSON m)
