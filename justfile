# Shortcuts for those who have `just`; nothing depends on them.

# The main job, on the stand-in for AWS
demo:
    cargo run --release -- --local -n test-cli -sg sg-1 -sn subnet-1

# The smallest image: the init, a shell, certificates. Arguments as for server-image/build-image, such as `--base local`
image *arguments:
    sh server-image/build-image plain {{arguments}}

# The operator's image: clients of databases, networks and AWS
image-tools *arguments:
    sh server-image/build-image tools {{arguments}}

# An application's image with the init in it
image-app-example *arguments:
    sh server-image/build-image app-example {{arguments}}

# OpenSSH behind the init
image-openssh *arguments:
    sh server-image/build-image openssh {{arguments}}

# One crate while working on it
test crate:
    cargo test -p {{crate}}

# One fuzz target (`cargo fuzz list` in fuzz/) for some seconds; needs cargo-fuzz
fuzz target seconds="600":
    mkdir -p fuzz/corpus/{{target}}
    cd fuzz && RUSTC_BOOTSTRAP=1 cargo fuzz run {{target}} corpus/{{target}} seeds/{{target}} -- -max_total_time={{seconds}}

# Everything, as CI has it
ci:
    bash .ci/run
