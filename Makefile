# Everything runs in .venv; .ci/bootstrap.py sets up what a target needs, once, and says what it did.
# Needed beforehand: make, git and Python >= 3.11. PORT and PARLEY_* are passed on.

PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,$(shell command -v $(name))) python3)
RUN = @$(PYTHON) .ci/bootstrap.py

.PHONY: help install demo test check widget clean

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

widget: ## build the widget
	$(RUN) widget

clean: ## remove what the other targets made (not .parley, the demo's conversations)
	$(RUN) clean
