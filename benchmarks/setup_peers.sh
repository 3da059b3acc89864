#!/usr/bin/env bash
# Make the peers' two environments: benchmarks/setup_peers.sh [DIR]  ->  DIR/torch, DIR/jax   (DIR: peers-env)
set -eu
dir=${1:-peers-env}
python=${PYTHON:-python3}
mkdir -p "$dir"
"$python" -m venv "$dir/torch"
"$dir/torch/bin/pip" install -q torch==2.13.0
"$dir/torch/bin/pip" install -q numpy scipy phiflow==3.4.0 phiml==1.16.1 torch-cfd==0.2.6
# DeepXDE would accept any torch, but its other requirements must not bring another one than that above.
"$dir/torch/bin/pip" install -q scikit-learn scikit-optimize matplotlib
"$dir/torch/bin/pip" install -q --no-deps deepxde==1.15.0
"$python" -m venv "$dir/jax"
"$dir/jax/bin/pip" install -q jax==0.10.2 jaxlib==0.10.2 exponax==0.2.0 jax-cfd==0.2.1 equinox==0.13.8 optax==0.2.8
