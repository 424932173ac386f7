// test_header.cpp: skep-runtime.h is C++ as well, and the library links.
#include <cstring>

#include <skep-runtime.h>

int main()
{
	skep_runtime_options options;
	skep_runtime *runtime = NULL;
	skep_error *error = skep_error_new();
	SKEP_OPTIONS_INIT(&options);
	options.root = "/nonexistent";
	if (skep_runtime_open(&options, &runtime, error) < 0) return 1;
	char *text = NULL;
	int code = skep_container_state(runtime, "nobody", &text, error) < 0 ? skep_error_get_code(error) : 0;
	skep_runtime_free(runtime);
	skep_error_free(error);
	return code != SKEP_ERROR_NOT_FOUND;
}
