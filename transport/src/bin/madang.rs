//! `madang`: see `madang --help`.

/// Measured against the system's: a request allocates some sixty times, small and short-lived.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() {
    clients::http::choose_tls_provider();
    let code = transport::cli::run().await;
    std::process::exit(code);
}
