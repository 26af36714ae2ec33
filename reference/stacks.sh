# Sourced by record and record_layers, in reference/: makes the genuine stacks and runs a script under one of them.
# PYTHON27, PYTHON36 and PYTHON3 name the interpreters where pyenv does not.
build=$PWD/.build

interpreter() {  # VERSION: the newest pyenv has of it, or pythonVERSION on the PATH
    local found
    found=$(ls -d "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python 2>/dev/null | sort -V | tail -n 1)
    echo "${found:-python$1}"
}

stack() {  # NAME: a virtual environment with the pinned packages of stacks/NAME.txt
    local venv=$build/$1 python=${PYTHON36:-$(interpreter 3.6)}
    [ -e "$venv/complete" ] && return
    [[ $1 == *theano-0.8* ]] && python=${PYTHON27:-$(interpreter 2.7)}
    mkdir -p "$build"
    if [ ! -e "$build/virtualenv/bin/virtualenv" ]; then
        "${PYTHON3:-python3}" -m venv "$build/virtualenv"
        "$build/virtualenv/bin/pip" install -q virtualenv==20.15.1
    fi
    "$build/virtualenv/bin/virtualenv" -q --no-download -p "$python" "$venv"
    if [[ $1 == keras-1.2* ]]; then
        "$venv/bin/pip" install -q pip==21.3.1
        "$venv/bin/pip" install -q setuptools==59.6.0 wheel==0.37.1
    fi
    grep -v -i -E '^(#|theano|keras)' "stacks/$1.txt" | xargs "$venv/bin/pip" install -q
    grep -i -E '^(theano|keras)' "stacks/$1.txt" | xargs "$venv/bin/pip" install -q --no-build-isolation
    touch "$venv/complete"
}

run() {  # SCRIPT STACK DTYPE ORDERING ARGUMENT...: a script under a genuine stack, apart from the user's own settings
    local home=$build/home-$2 backend=theano
    [[ $2 == *tensorflow* ]] && backend=tensorflow
    mkdir -p "$home/.keras"
    local format=channels_first
    [[ $4 == tf ]] && format=channels_last
    echo "{\"image_dim_ordering\": \"$4\", \"image_data_format\": \"$format\", \"epsilon\": 1e-07," \
        "\"floatx\": \"$3\", \"backend\": \"$backend\"}" > "$home/.keras/keras.json"
    HOME=$home KERAS_BACKEND=$backend PYTHONHASHSEED=0 TF_CPP_MIN_LOG_LEVEL=2 \
        THEANO_FLAGS="floatX=$3,device=cpu,blas.ldflags=-lopenblas,base_compiledir=$build/compiled-${2#keras-*-}${theano_flags:+,$theano_flags}" \
        "$build/$2/bin/python" "$1" "${@:5}"
}
