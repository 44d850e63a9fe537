# Writes COMMIT_FILE, a header with the commit of SOURCE_DIR (and "+changes" where the tree differs from it), if it is not what the file
# already says: so that a new commit recompiles one small file and an old one none.
execute_process(COMMAND git -C ${SOURCE_DIR} describe --always --dirty=+changes --abbrev=12 --exclude=*
                OUTPUT_VARIABLE COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
set(TEXT "#define CRESCENDO_COMMIT \"${COMMIT}\"\n")
if(EXISTS ${COMMIT_FILE})
  file(READ ${COMMIT_FILE} OLD)
endif()
if(NOT "${OLD}" STREQUAL "${TEXT}")
  file(WRITE ${COMMIT_FILE} "${TEXT}")
endif()
