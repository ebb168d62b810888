//! `madang`: see `madang --help`.

#[tokio::main]
async fn main() {
    let code = transport::cli::run().await;
    std::process::exit(code);
}
