set(NET_LIBS llhttp PkgConfig::UV PkgConfig::CURL PkgConfig::MSGPACK PkgConfig::CJSON Threads::Threads)
aictl_unit_test(NAME net_http_parser MIN 15
  SOURCES net_http_parser.c
  FOLDERS net base proto
  LIBS ${NET_LIBS})
aictl_unit_test(NAME net_http1 MIN 38
  SOURCES net_http1.c net_http1_load.c net_http1_world.c net_wire.c
  FOLDERS net base proto
  LIBS ${NET_LIBS})
aictl_unit_test(NAME net_fetch MIN 30
  SOURCES net_fetch.c net_fetch_life.c net_fetch_memory.c net_fetch_world.c net_wire.c
  FOLDERS net base proto
  LIBS ${NET_LIBS})
aictl_unit_test(NAME net_loop MIN 11
  SOURCES net_loop.c
  FOLDERS net base proto
  LIBS ${NET_LIBS})
aictl_unit_test(NAME net_peer MIN 7
  SOURCES net_peer.c
  FOLDERS net base proto
  LIBS ${NET_LIBS})
aictl_unit_test(NAME net_stream MIN 25
  SOURCES net_stream.c net_wire.c
  FOLDERS net base proto
  LIBS ${NET_LIBS})
