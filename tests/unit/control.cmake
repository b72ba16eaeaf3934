# The gateway is played by control_world.c, so that its probes end when a test says so.
set(CONTROL_FOLDERS control net state dialect policy ir base proto)
set(CONTROL_LIBS llhttp PkgConfig::UV PkgConfig::CURL PkgConfig::MSGPACK PkgConfig::CJSON
                 PkgConfig::SODIUM Threads::Threads)
aictl_unit_test(NAME control MIN 40
  SOURCES control_methods.c control_params.c control_server.c control_world.c
  FOLDERS ${CONTROL_FOLDERS}
  LIBS ${CONTROL_LIBS})
