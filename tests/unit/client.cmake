aictl_unit_test(NAME client MIN 39
  SOURCES client_call.c client_command.c client_keyinput.c client_manual.c client_render.c client_shell.c
  FOLDERS client proto
  LIBS PkgConfig::MSGPACK PkgConfig::CJSON)
