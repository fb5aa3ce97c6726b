# Every target only calls `python -m local`, which does the same without make; `make help` lists it all.

.DEFAULT_GOAL := help
.PHONY: help setup run services test test-long test-clients bench check docs conformance new upgrade tool lock clean

# The first Python that is new enough. When none is, `python3 -m local` says what to install.
ifneq ($(origin PYTHON),command line)
PYTHON := $(shell for candidate in python3.13 python3 python; do \
	"$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 13))' >/dev/null 2>&1 && echo "$$candidate" && break; \
	done)
endif
LOCAL := $(or $(PYTHON),python3) -m local

# Only what stands on make's command line counts: many shells export HOST or PORT for purposes of their own.
given = $(if $(filter command,$(firstword $(origin $(1)))),$($(1)))
switch = $(if $(filter 1 true yes on,$(call given,$(1))),$(2))
option = $(if $(call given,$(1)),$(2) $(call given,$(1)))

PORTS = $(strip $(call option,PORT,--functions-port) \
	$(call option,BLOB_PORT,--blob-port) \
	$(call option,QUEUE_PORT,--queue-port) \
	$(call option,TABLE_PORT,--table-port) \
	$(call option,ENTRA_PORT,--entra-port) \
	$(call option,SIGN_IN_PORT,--sign-in-port) \
	$(call option,VAULT_PORT,--vault-port) \
	$(call option,TRACES_PORT,--traces-port))

SWITCHES = $(strip $(call switch,CHECK,--check) $(call switch,WATCH,--watch) $(call switch,TRACE,--trace))

help:
	@$(LOCAL) --help

setup:
	@$(LOCAL) setup

run:
	@$(LOCAL) run $(SWITCHES) $(call option,HOST,--host) $(PORTS)

services:
	@$(LOCAL) services $(PORTS)

test:
	@$(LOCAL) test $(call switch,FAST,--fast) $(call given,ARGS)

test-long:
	@$(LOCAL) test -m long

test-clients:
	@$(LOCAL) clients $(call switch,RECORD,--record) $(call given,ARGS)

bench:
	@$(LOCAL) bench $(call given,PART) $(call option,COMPARE,--compare) $(call switch,RECORD,--record) $(call given,ARGS)

check:
	@$(LOCAL) check

docs:
	@$(LOCAL) docs

conformance:
	@$(LOCAL) conformance $(call option,NODE,--node)

new:
	@$(LOCAL) new $(if $(call given,NAME),--name "$(call given,NAME)")

upgrade:
	@$(LOCAL) upgrade $(call option,VERSION,--version)

tool:
	@$(LOCAL) tool $(call given,NAME)

lock:
	@$(LOCAL) lock $(call switch,UPGRADE,--upgrade)

clean:
	@$(LOCAL) clean $(call switch,ALL,--all)
