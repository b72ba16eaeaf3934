# Makes a C file with text files as strings: cmake -DOUT=f.c -DFILES="name=path;..." -P embed.cmake
#
# Bytes are written as numbers, so no character of a script needs an escape.
set(text "/* Made from the scripts in shims/ by client/embed.cmake. */\n#include \"client/init_scripts.h\"\n")
foreach(entry ${FILES})
  string(REGEX MATCH "^([^=]+)=(.*)$" ignored "${entry}")
  set(name "${CMAKE_MATCH_1}")
  file(READ "${CMAKE_MATCH_2}" hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(APPEND text "\nconst char ${name}[] = {${bytes}0};\n")
endforeach()
file(WRITE "${OUT}" "${text}")
