# aictl_add_test(NAME name COMMAND ... [LABELS ...] [TIMEOUT s] [COST n])
#
# Criterion passes a test that leaks: a sanitizer report fails only because of the regular expression
# here. Exit status 77 is a skip; ctest prints and counts it.
set(AICTL_SANITIZER_REPORT
    "ERROR: AddressSanitizer|ERROR: LeakSanitizer|detected memory leaks|runtime error: |WARNING: ThreadSanitizer")

function(aictl_add_test)
  cmake_parse_arguments(T "" "NAME;TIMEOUT;COST" "COMMAND;LABELS;ENVIRONMENT" ${ARGN})
  add_test(NAME ${T_NAME} COMMAND ${T_COMMAND} WORKING_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}")
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 120)
  endif()
  set_tests_properties(${T_NAME} PROPERTIES
    TIMEOUT ${T_TIMEOUT}
    SKIP_RETURN_CODE 77
    LABELS "${T_LABELS}"
    FAIL_REGULAR_EXPRESSION "${AICTL_SANITIZER_REPORT}"
    ENVIRONMENT "AICTL_SOURCE=${CMAKE_SOURCE_DIR};AICTL_BUILD=${CMAKE_BINARY_DIR};ASAN_OPTIONS=detect_leaks=1:abort_on_error=0;UBSAN_OPTIONS=print_stacktrace=1;${T_ENVIRONMENT}")
  if(T_COST)
    set_tests_properties(${T_NAME} PROPERTIES COST ${T_COST})
  endif()
endfunction()

# aictl_unit_test(NAME folder SOURCES ... FOLDERS closure... LIBS ... MIN n): one Criterion binary.
# FOLDERS is the folder under test with the folders it may use and no others, so an upward call does
# not link. MIN is the least number of tests that must have run.
function(aictl_unit_test)
  cmake_parse_arguments(T "" "NAME;MIN" "SOURCES;FOLDERS;LIBS" ${ARGN})
  set(objects)
  foreach(folder ${T_FOLDERS})
    list(APPEND objects $<TARGET_OBJECTS:${folder}>)
  endforeach()
  add_executable(unit_${T_NAME} ${T_SOURCES} ${objects})
  target_link_libraries(unit_${T_NAME} PRIVATE aictl_flags PkgConfig::CRITERION ${T_LIBS})
  target_include_directories(unit_${T_NAME} PRIVATE "${CMAKE_SOURCE_DIR}/tests")
  if(NOT T_MIN)
    set(T_MIN 1)
  endif()
  aictl_add_test(NAME unit_${T_NAME} LABELS unit
    COMMAND "${CMAKE_SOURCE_DIR}/tests/support/run_criterion.sh" ${T_MIN} $<TARGET_FILE:unit_${T_NAME}>)
endfunction()
