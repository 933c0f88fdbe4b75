# Everything runs in .venv; .ci/bootstrap.py sets up what a target needs, once, and says what it did.
# Needed beforehand: make, git and Python >= 3.11. PORT, PARLEY_*, and what stands behind a target
# (`make bench ONLY=permits`) are passed on.

PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,$(shell command -v $(name))) python3)
RUN = @$(PYTHON) .ci/bootstrap.py

.PHONY: help install demo test check bench chaos verify widget clean

help: ## show these lines
	@sed -n 's/^\([a-z]*\):.*## /make \1	/p' Makefile

install: ## set up .venv with the command `parley` and the built widget
	$(RUN) install

demo: ## run a sample shop with its chat on http://127.0.0.1:8000/
	$(RUN) demo

test: ## run every check and every test
	$(RUN) test

check: ## lint and types only
	$(RUN) check

bench: ## measure against other libraries; ONLY=permits: that bench alone, QUICK=1: a short one
	$(RUN) bench

chaos: ## stop, kill and restart what keeps the tier, and count; SEED=7, MINUTES=3
	$(RUN) chaos

verify: ## check the model of the permits in every order of events; ONLY="lease only", STORY=1
	$(RUN) verify

widget: ## build the widget
	$(RUN) widget

clean: ## remove what the other targets made (not .parley, the demo's conversations)
	$(RUN) clean
