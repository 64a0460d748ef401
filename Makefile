# Two commands are all that a new user needs: `make demo` and `make test`. `make help` lists the rest.

SCALE ?= full
SOAK_ROUNDS ?= 10
SOURCES := Package.swift Sources Tests
SWIFT_TEST := swift test --disable-xctest

.PHONY: help setup build demo test test-devices test-vllm demo-vllm bench bench-vllm kv-bytes soak sanitize lint format clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -E '^[a-z-]+: .*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+): .*## /\1\t/' | expand -t 14

setup: ## checks the toolchain and installs the Debian packages that are missing
	@Tools/setup

build: setup ## the measured build: release, cross-module optimisation
	swift build -c release --product roost

demo: build ## replays the built-in workload through real memory, checks every byte, writes report.html
	.build/release/roost replay --report report.html

test: setup ## every test, debug; the page of the report in a browser, where there is one
	swift build --build-tests
	$(SWIFT_TEST) --skip-build
	Tests/KernelTests/run
	Tests/ArmTests/run
	Tests/ABITests/run
	Tests/PythonTests/run
	Tests/Browser/run

test-devices: setup ## every device that can be had: the CPU, the mock, simulated drivers with all their faults, a plug-in
	swift build --build-tests
	$(SWIFT_TEST) --skip-build --filter ConformanceTests
	Tests/KernelTests/run

test-vllm: setup ## the proof on a real vLLM: installs one (3.5 GB, once), makes tiny models, runs every case
	@Tests/vllm/run

demo-vllm: setup ## time to first token of a real vLLM: computed, loaded by Roost, and vLLM's own hit; table and chart
	@Tests/vllm/run demo

bench-vllm: setup ## what the connector itself costs a scheduler step
	@Tests/vllm/run bench

bench: build ## all benchmarks against the machine's own limits; SCALE=smoke takes seconds
	.build/release/roost bench $(if $(filter smoke,$(SCALE)),--smoke)

kv-bytes: setup ## the KV cache of the tiny models as files, for `ROOST_BENCH_PAGES=FILE roost bench compression`
	@Tests/vllm/run kv-bytes

soak: export ROOST_TEST_LARGE_TRACES = 1
soak: setup ## the disk tier at ten times CI's length; the tests SOAK_ROUNDS times in a row, large traces included; what of vLLM takes long
	swift build --build-tests
	ROOST_SOAK=100 $(SWIFT_TEST) --skip-build --filter 'TierTests|TierSimulationTests'
	for round in $$(seq $(SOAK_ROUNDS)); do echo "round $$round of $(SOAK_ROUNDS)"; $(SWIFT_TEST) --skip-build || exit 1; done
	Tests/Fuzz/run $$((SOAK_ROUNDS * 60))
	Tests/vllm/run accelerator-long ranks

# A race or a bad access may leave every line saying "passed": the exit status decides. Leak detection is off because
# the runner itself leaks. Each sanitizer has its own build folder, so that the plain build stays.
sanitize: setup ## the tests under the thread and the address sanitizer
	$(SWIFT_TEST) --sanitize=thread --scratch-path .build/sanitize-thread
	ASAN_OPTIONS=detect_leaks=0 $(SWIFT_TEST) --sanitize=address --scratch-path .build/sanitize-address

lint: setup ## checks the format
	swift format lint --strict --parallel --recursive $(SOURCES)

format: setup ## makes the format right
	swift format --in-place --parallel --recursive $(SOURCES)

clean: ## removes everything built
	rm -rf .build report.html
