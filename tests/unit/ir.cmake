aictl_unit_test(NAME ir MIN 3
  SOURCES ir_usage.c
  FOLDERS ir)
