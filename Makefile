# Short names for the scripts and CMake presets. On a bare Debian 12 or Ubuntu 24.04 each target begins from nothing.
PRESET ?= release
export CRESCENDO_STARTED := $(shell date +%s)

help:    ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' Makefile

demo:    ## install what is missing, build, and show the paper's point on a small example
	@scripts/build.sh $(PRESET) crescendo && scripts/demo.sh build/$(PRESET)/bin/crescendo
build:   ## build everything; PRESET=debug|asan|cuda for another kind (CMakePresets.json)
	@scripts/build.sh $(PRESET)
test:    ## build everything and run all tests
	@scripts/build.sh $(PRESET) && scripts/test.sh $(PRESET)
soak:    ## build, then kill a run 200 times and resume it; minutes
	@scripts/build.sh $(PRESET) resume_test && CRESCENDO_KILLS=200 CRESCENDO_SEED=$$(date +%s) build/$(PRESET)/tests/resume/resume_test --gtest_filter='Kill.*'
core:    ## build and test only what needs no LibTorch: schedules, plans, configs, reports
	@scripts/build.sh core && scripts/test.sh core
check:   ## layering, formatting, clang-tidy
	@scripts/check.sh
bench:   ## build, run the benchmarks
	@scripts/build.sh $(PRESET) && benchmarks/run.sh build/$(PRESET)
clean:   ## remove what was built; what was fetched stays in .deps
	@rm -rf build

.PHONY: help demo build test soak core check bench clean
