//! The board. Stands in until the real one is there.

/// What the board may be told at start.
#[derive(Clone, Debug, Default)]
pub struct BoardOptions {}

/// Shows the board until it is quit.
///
/// # Errors
/// If the terminal cannot be used.
pub async fn run_board(
    client: dispatch_shared::client::Client,
    options: BoardOptions,
) -> color_eyre::Result<()> {
    let BoardOptions {} = options;
    client.health().await?;
    Ok(())
}
