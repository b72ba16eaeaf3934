aictl_unit_test(NAME state_ledger MIN 6
  SOURCES state_ledger.c
  FOLDERS state net dialect policy ir base proto
  LIBS llhttp PkgConfig::CURL PkgConfig::MSGPACK PkgConfig::SODIUM PkgConfig::CJSON PkgConfig::UV)
aictl_unit_test(NAME state_tokens MIN 13
  SOURCES state_tokens.c
  FOLDERS state net dialect policy ir base proto
  LIBS llhttp PkgConfig::CURL PkgConfig::MSGPACK PkgConfig::SODIUM PkgConfig::CJSON PkgConfig::UV)
aictl_unit_test(NAME state_secret MIN 10
  SOURCES state_secret.c
  FOLDERS state net dialect policy ir base proto
  LIBS llhttp PkgConfig::CURL PkgConfig::MSGPACK PkgConfig::SODIUM PkgConfig::CJSON PkgConfig::UV)
aictl_unit_test(NAME state_vault MIN 24
  SOURCES state_vault.c
  FOLDERS state net dialect policy ir base proto
  LIBS llhttp PkgConfig::CURL PkgConfig::MSGPACK PkgConfig::SODIUM PkgConfig::CJSON PkgConfig::UV)
aictl_unit_test(NAME state_vault_damage MIN 11
  SOURCES state_vault_damage.c
  FOLDERS state net dialect policy ir base proto
  LIBS llhttp PkgConfig::CURL PkgConfig::MSGPACK PkgConfig::SODIUM PkgConfig::CJSON PkgConfig::UV)
aictl_unit_test(NAME state_config MIN 20
  SOURCES state_config.c
  FOLDERS state net dialect policy ir base proto
  LIBS llhttp PkgConfig::CURL PkgConfig::MSGPACK PkgConfig::SODIUM PkgConfig::CJSON PkgConfig::UV)
aictl_unit_test(NAME state_quirks MIN 12
  SOURCES state_quirks.c
  FOLDERS state net dialect policy ir base proto
  LIBS llhttp PkgConfig::CURL PkgConfig::MSGPACK PkgConfig::SODIUM PkgConfig::CJSON PkgConfig::UV)
aictl_unit_test(NAME state_url MIN 6
  SOURCES state_url.c
  FOLDERS state net dialect policy ir base proto
  LIBS llhttp PkgConfig::CURL PkgConfig::MSGPACK PkgConfig::SODIUM PkgConfig::CJSON PkgConfig::UV)
aictl_unit_test(NAME state_walk MIN 18
  SOURCES state_walk.c ../support/tree.c
  FOLDERS state net dialect policy ir base proto
  LIBS llhttp PkgConfig::CURL PkgConfig::MSGPACK PkgConfig::SODIUM PkgConfig::CJSON PkgConfig::UV)
aictl_unit_test(NAME state_projects MIN 20
  SOURCES state_projects.c ../support/tree.c
  FOLDERS state net dialect policy ir base proto
  LIBS llhttp PkgConfig::CURL PkgConfig::MSGPACK PkgConfig::SODIUM PkgConfig::CJSON PkgConfig::UV)
aictl_unit_test(NAME state_project_cache MIN 15
  SOURCES state_project_cache.c ../support/tree.c
  FOLDERS state net dialect policy ir base proto
  LIBS llhttp PkgConfig::CURL PkgConfig::MSGPACK PkgConfig::SODIUM PkgConfig::CJSON PkgConfig::UV)
aictl_unit_test(NAME state_config_edit MIN 9
  SOURCES state_config_edit.c
  FOLDERS state net dialect policy ir base proto
  LIBS llhttp PkgConfig::CURL PkgConfig::MSGPACK PkgConfig::SODIUM PkgConfig::CJSON PkgConfig::UV)

# docs/CONFIG.md and docs/providers.md are printed from the daemon's own tables.
add_executable(config_md "${CMAKE_SOURCE_DIR}/tests/support/config_md.c")
target_link_libraries(config_md PRIVATE aictl_flags)
aictl_add_test(NAME shape_config_md LABELS shape
  COMMAND "${CMAKE_SOURCE_DIR}/tests/support/same_document.sh" "${CMAKE_SOURCE_DIR}/docs/CONFIG.md"
          $<TARGET_FILE:config_md> config)
aictl_add_test(NAME shape_providers_md LABELS shape
  COMMAND "${CMAKE_SOURCE_DIR}/tests/support/same_document.sh" "${CMAKE_SOURCE_DIR}/docs/providers.md"
          $<TARGET_FILE:config_md> providers)
