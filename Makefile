# Thin fronts for people; CMake does the work (CMakePresets.json). `make help` lists them.
SHELL := /bin/bash
JOBS ?= $(shell nproc)
# Arguments for the program: make run ARGS='run model.gguf -p "Once upon a time"'.
ARGS ?=
SECONDS_EACH ?= 60
# DEPS=no: trust that everything is installed (other distributions, no network).
DEPS ?= yes

WEIR := build/release/weir
PROMPT := Hello! What is Weir?
configure = cmake --preset $(1) --log-level=WARNING >/dev/null
install_deps = $(if $(filter no,$(DEPS)),@true,@scripts/install-deps $(1))

.PHONY: build run test bench bench-check lint fuzz asan tsan neon deb peers bench-peers clean help

build: ## Install what is missing and build build/release/weir
	$(call install_deps)
	@$(call configure,release)
	@cmake --build --preset release -j$(JOBS)

run: ## Build, then talk to the embedded model (ARGS= passes other arguments to weir)
	$(call install_deps)
	@$(call configure,release)
	@cmake --build --preset release -j$(JOBS) --target weir
ifneq ($(strip $(ARGS)),)
	@$(WEIR) $(ARGS)
else
	@if [ -t 0 ]; then $(WEIR) run; else $(WEIR) run -p '$(PROMPT)' --temp 0 </dev/null; fi
endif

test: ## Build and run all tests, the ARM kernels included (under an emulator)
	$(call install_deps,--with neon)
	@$(call configure,release)
	@cmake --build --preset release -j$(JOBS)
	@ctest --preset release -j$(JOBS)
	@$(MAKE) --no-print-directory neon DEPS=no

bench: ## Micro-benchmarks of the kernels and weir bench on the embedded model
	$(call install_deps)
	@$(call configure,release -DWEIR_BENCH=ON)
	@cmake --build --preset release -j$(JOBS)
	@scripts/bench

bench-check: ## Compare the instruction counts of the kernels with bench/instructions.txt
	$(call install_deps,--with valgrind)
	@$(call configure,release -DWEIR_BENCH=ON)
	@cmake --build --preset release -j$(JOBS) --target kernels_count
	@bench/check $(ARGS)

lint: ## Format, clang-tidy and the house checks
	$(call install_deps,--with lint)
	@JOBS=$(JOBS) scripts/lint

fuzz: ## Run every fuzz target for SECONDS_EACH seconds
	$(call install_deps,--with fuzz)
	@JOBS=$(JOBS) scripts/fuzz $(SECONDS_EACH)

asan tsan: ## Unit tests under AddressSanitizer + UBSan, or under ThreadSanitizer
	$(call install_deps)
	@$(call configure,$@)
	@cmake --build --preset $@ -j$(JOBS)
	@ctest --preset $@ -j$(JOBS)

neon: ## Cross-build the ARM kernels and test them under qemu
	$(call install_deps,--with neon)
	@if ! { command -v aarch64-linux-gnu-g++ && command -v qemu-aarch64-static; } >/dev/null; then \
	  echo "neon: skipped, no aarch64-linux-gnu-g++ or qemu-aarch64-static here"; \
	else \
	  $(call configure,neon) && \
	  cmake --build --preset neon -j$(JOBS) && \
	  ctest --preset neon -j$(JOBS); \
	fi

deb: ## Pack the program as a Debian package in build/release
	$(call install_deps,--with deb)
	@$(call configure,release)
	@cmake --build --preset release -j$(JOBS) --target weir
	@cd build/release && cpack -G DEB

peers: ## Compare speed with llama.cpp as npm ships it: three rows (bench/peers/README.md)
	@$(MAKE) --no-print-directory bench-peers DEPS=$(DEPS) ARGS='--fast $(ARGS)'

bench-peers: ## The same over the whole table of targets; hours (ARGS='--plan' lists the parts)
	$(call install_deps)
	@$(call configure,release)
	@cmake --build --preset release -j$(JOBS) --target weir
	@bench/peers/install
	@bench/peers/run $(ARGS)

clean: ## Remove everything that was built
	rm -rf build

help: ## This list
	@grep -hE '^[a-z][a-z -]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | \
	  while IFS='|' read -r target text; do printf '  make %-11s %s\n' "$$target" "$$text"; done

.DEFAULT_GOAL := build
