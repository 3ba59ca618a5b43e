# Needed beforehand: Rust, Python 3 with pip and venv, make, a C compiler. The rest is brought into .tools/.

.DEFAULT_GOAL := build
.PHONY: build demo test train-smoke web web-lint web-test pages screenshots runtime lint fmt clippy deny doc bench soak chaos repeat peers help

target := $(or $(CARGO_TARGET_DIR),target)
venv := .tools/venv
trainer := .tools/trainer
npm_ready := src/web/node_modules/.package-lock.json
web_sources := $(shell find src/web -type d \( -name node_modules -o -name dist \) -prune -o -type f -print)
deny_version := 0.20.2

# zlib-ng is built with cmake; .ci/runtime brings it where the machine has none.
export PATH := $(CURDIR)/.tools/bin:$(CURDIR)/.tools/cmake/cmake/data/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

build: runtime pages ## the program, with ONNX Runtime and the default classifier beside it
	cargo build --release --locked
	.ci/runtime $(target)/release

demo: build ## simulated providers, the proxy and requests to try: no key, no network
	$(target)/release/pointsman demo

web: src/web/dist/index.html ## the pages of the admin listener, built with npm from the lock file: Node 20.19 or newer

src/web/dist/index.html: $(npm_ready) $(web_sources)
	cd src/web && npm run build
	touch $@

$(npm_ready): src/web/package-lock.json
	cd src/web && npm ci --no-audit --no-fund
	touch $@

# The program embeds the pages where they could be built, and does without where they could not.
pages:
	@if ! command -v npm >/dev/null; then echo "no npm: built without the pages (Node 20.19 or newer brings them)"; \
	elif ! node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)'; \
	then echo "node $$(node --version): built without the pages (Node 20.19 or newer brings them)"; \
	elif ! $(MAKE) --no-print-directory $(npm_ready); then echo "no packages from npm: built without the pages"; \
	else $(MAKE) --no-print-directory web; fi

web-lint: web ## the pages' types, style and unit tests
	cd src/web && npm run check && npm test

web-test: ## the pages in Debian's Chromium, which root installs where it is missing; after `make web` and `cargo build`
	tests/web/run.sh

screenshots: build .tools/pictures/bin/python ## the pictures in the README, taken of the demo in Debian's Chromium
	POINTSMAN_BIN=$(target)/release/pointsman node src/web/screenshots/take.mjs
	.tools/pictures/bin/python src/web/screenshots/shrink.py src/web/screenshots/*.png

.tools/pictures/bin/python:
	python3 -m venv .tools/pictures
	$@ -m pip install --quiet 'pillow>=11,<13'

runtime: ## ONNX Runtime and cmake, into .tools/
	.ci/runtime

test: runtime pages $(venv)/ready train-smoke ## every test, the SDKs' and the classifier's training among them
	.ci/runtime $(target)/debug
	if cargo nextest --version >/dev/null 2>&1; \
	then cargo nextest run --locked; \
	else cargo test --locked --no-fail-fast; fi
	tests/web/run.sh

# Torch loads only with its CUDA libraries: 4.5 GB on disk, a minute of CPU time. Where PyPI has none for this machine, a word says so.
train-smoke: ## the classifier's training from end to end on a fixture: seconds, after torch is there
	@if [ $(trainer)/ready -nt router-models/train/requirements.txt ] || { \
		python3 -m venv $(trainer) && \
		$(trainer)/bin/python -m pip install --quiet --no-cache-dir --no-deps -r router-models/train/requirements.txt && \
		touch $(trainer)/ready; \
	}; then $(trainer)/bin/python router-models/train/smoke.py; \
	else echo "SKIPPED: train-smoke: PyPI gave no torch for this machine" >&2; fi

# The SDKs that callers use, to try them against the program.
$(venv)/ready: tests/sdk/requirements.txt
	python3 -m venv $(venv)
	$(venv)/bin/python -m pip install --quiet -r $<
	touch $@

lint: fmt clippy deny doc ## all that is checked besides the tests

fmt:
	cargo fmt --check

clippy: runtime
	cargo clippy --locked --all-targets -- -D warnings

doc: runtime
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

deny:
	cargo deny --version >/dev/null 2>&1 || \
		cargo install --quiet --locked cargo-deny --version $(deny_version) --root .tools
	cargo deny --config .config/deny.toml check bans licenses sources

bench: build ## CPU and added latency as ratios, against nginx and other gateways where they are installed
	cargo bench --locked --bench end_to_end

soak: build ## minutes of everything at once, and what was lost or grew: SECONDS=180
	POINTSMAN_BIN=$(abspath $(target))/release/pointsman POINTSMAN_SOAK_SECONDS=$(or $(SECONDS),180) \
		cargo test --locked --test it endurance::soak -- --nocapture

chaos: build ## minutes of faults between the proxy and its providers, and what callers got: SECONDS=180
	POINTSMAN_BIN=$(abspath $(target))/release/pointsman POINTSMAN_CHAOS_SECONDS=$(or $(SECONDS),180) \
		cargo test --locked --test it endurance::chaos -- --nocapture

repeat: $(venv)/ready ## the black-box cases over and over, until one fails: TIMES=50
	.ci/repeat $(or $(TIMES),50)

peers: ## other gateways to measure against, into .tools/
	python3 -m venv .tools/litellm
	.tools/litellm/bin/python -m pip install --quiet 'litellm[proxy]'
	npm install --silent --no-audit --no-fund --prefix .tools/portkey @portkey-ai/gateway

help: ## this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)
