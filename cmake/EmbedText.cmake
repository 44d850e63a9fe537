# Writes OUTPUT, a C++ source that defines the content of text files as constants:
#   cmake -DOUTPUT=page.cpp -DNAMESPACE=crescendo::report -DNAMES=kPageCss,kPageJs -DFILES=page.css,page.js -P EmbedText.cmake
string(REPLACE "," ";" NAMES "${NAMES}")
string(REPLACE "," ";" FILES "${FILES}")
set(source "#include <string_view>\nnamespace ${NAMESPACE} {\n")
foreach(name file IN ZIP_LISTS NAMES FILES)
  file(READ ${file} text)
  string(APPEND source "extern const std::string_view ${name};\nconst std::string_view ${name} = R\"embedded(${text})embedded\";\n")
endforeach()
string(APPEND source "}  // namespace ${NAMESPACE}\n")
file(WRITE ${OUTPUT} "${source}")
