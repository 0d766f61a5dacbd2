# finrace: try it, test it. Each target first installs what it needs and this machine lacks; a second run
# finds everything there and needs no network.

CARGO ?= cargo

# Where a finrace in target/debug or target/release looks for the packages of real servers.
SERVERS := $(or $(CARGO_TARGET_DIR),target)/servers
EXPRESS := tests/servers/express
PYTHON := tests/servers/python
GO := tests/servers/go

# Where the tests look for what drives a browser.
BROWSER := $(or $(CARGO_TARGET_DIR),target)/browser

# Where the pictures of docs/sweep.md are made.
FINRACE := $(or $(CARGO_TARGET_DIR),target)/release/finrace
WINDOWS := $(or $(CARGO_TARGET_DIR),target)/windows

# Executions of each fuzz target.
RUNS := 10000000

.DEFAULT_GOAL := help
.PHONY: help demo test test-long truth-table check-truth odds-check gallery windows fuzz bench bench-layers bench-wire bench-sweep lint deps \
	servers servers-all browser

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s%s\n", $$1, $$2 }' Makefile

demo: ## reproduce the race on this machine, prove it, draw it
	.ci/packages libpcap-headers
	$(CARGO) run --release --locked -- reproduce

test: servers browser ## run every test, with and without libpcap
	$(CARGO) test --locked
	$(CARGO) test --locked --no-default-features

test-long: test ## run the scenarios with timers of a minute, too
	$(CARGO) test --locked --test reproduce -- --ignored --test-threads=4

truth-table: servers-all ## run every proxy in front of every server and write docs/truth-table.md
	$(CARGO) run --release --locked -- truth-table --out docs/truth-table.md

check-truth: truth-table ## run every pair in the lab, then see that check says the same of its configuration files
	$(CARGO) test --locked --test timers -- truth

odds-check: ## hold the model of failure rates against natural traffic and write docs/odds-check.md
	.ci/packages libpcap-headers
	$(CARGO) run --release --locked -- odds-check --out docs/odds-check.md

gallery: servers ## make every picture of README and docs/gallery.md, by the commands that it shows
	$(CARGO) build --release --locked
	rm -rf target/gallery docs/postmortem-example
	.ci/gallery "$(or $(CARGO_TARGET_DIR),target)/release"

fuzz: ## run the fuzz targets for long (RUNS=10000000; needs nightly and cargo-fuzz)
	$(CARGO) test --locked --test fuzz -- --ignored seeds_for_cargo_fuzz
	for target in reader decoder analysis report; do \
		$(CARGO) +nightly fuzz run -s none $$target -- -runs=$(RUNS) -max_len=65536 -timeout=1 -rss_limit_mb=200 \
			-print_final_stats=1 || exit 1; \
	done

bench: ## measure finrace by its goals, beside tcpdump and others (BENCH="--only peers" for a part)
	.ci/packages libpcap-headers tcpdump tshark zstd nginx ab valgrind
	$(CARGO) bench --locked --bench peers -- $(BENCH)

bench-layers: ## time reader, decoder, connections and rules one by one
	$(CARGO) bench --locked --bench layers

bench-wire: ## measure what the lab's wire carries, how exact its delay is, and how exactly a sweep sends
	$(CARGO) bench --locked --bench wire -- $(BENCH)

bench-sweep: ## count the races that a timed loop sees in a minute, and those of finrace sweep
	$(CARGO) build --release --locked
	python3 benches/timed-loop/compare.py $(FINRACE) 60

windows: servers ## sweep a toy and real servers, and draw docs/images/window-*.svg
	$(CARGO) build --release --locked
	rm -rf $(WINDOWS)
	$(FINRACE) sweep --attempts 10000 --out $(WINDOWS)/toy
	$(FINRACE) sweep --backend express --attempts 4000 --out $(WINDOWS)/express
	$(FINRACE) sweep --backend gunicorn --attempts 4000 --out $(WINDOWS)/gunicorn
	$(FINRACE) sweep --backend uwsgi-http11 --attempts 300 --max-time 5min --out $(WINDOWS)/uwsgi
	$(FINRACE) sweep --backend apache --attempts 4000 --out $(WINDOWS)/apache
	for window in toy express gunicorn uwsgi apache; do \
		cp $(WINDOWS)/$$window/window.svg docs/images/window-$$window.svg || exit 1; \
	done

lint: ## check the format, clippy and the documentation
	@$(CARGO) fmt --version && $(CARGO) clippy --version || rustup component add rustfmt clippy
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --all-targets --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items

deps: ## install the system packages that build and tests need
	.ci/packages libpcap-headers tshark nginx node npm apache2 haproxy python3-venv python3-headers \
		mariadbd postgres redis-server

servers: $(SERVERS)/express/node_modules/.installed $(SERVERS)/python/.installed ## install the real servers that tests run

servers-all: servers $(SERVERS)/python/.installed-all $(SERVERS)/go/server ## and those that only the truth table runs
	.ci/packages caddy varnishd puma tomcat java

browser: $(BROWSER)/node_modules/.installed ## install what opens reports in a real browser

$(BROWSER)/node_modules/.installed: tests/browser/package.json tests/browser/package-lock.json
	.ci/packages node npm chromium
	mkdir -p $(BROWSER)
	cp $^ tests/browser/.npmrc $(BROWSER)
	cd $(BROWSER) && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

$(SERVERS)/express/node_modules/.installed: $(EXPRESS)/package.json $(EXPRESS)/package-lock.json | deps
	mkdir -p $(SERVERS)/express
	cp $(EXPRESS)/package.json $(EXPRESS)/package-lock.json $(SERVERS)/express
	cd $(SERVERS)/express && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

$(SERVERS)/python/.installed: $(PYTHON)/requirements.txt | deps
	python3 -m venv $(SERVERS)/python
	$(SERVERS)/python/bin/python3 -m pip install --disable-pip-version-check --quiet --requirement $<
	touch $@

$(SERVERS)/python/.installed-all: $(PYTHON)/requirements-all.txt $(SERVERS)/python/.installed
	$(SERVERS)/python/bin/python3 -m pip install --disable-pip-version-check --quiet --requirement $<
	touch $@

$(SERVERS)/go/server: $(GO)/main.go $(GO)/go.mod
	.ci/packages go
	mkdir -p $(SERVERS)/go
	cd $(GO) && CGO_ENABLED=0 go build -trimpath -o $(abspath $@) .
