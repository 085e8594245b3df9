//! The loop.

use std::convert::Infallible;

use crate::{
    Context, Error, FromEvent, IntoFailure, LambdaHandler, Raw, Respond,
    api::{Api, Invocation},
    executor::guard,
    failure::Failure,
    failure::panics,
    logs,
    logs::current,
    stream::Answer,
    trace,
    wire::transport::Transport,
};

/// Takes one invocation after the other, and gives each its one answer, until the Runtime API fails.
///
/// `traced` says whether the trace id goes into the environment.
pub(crate) async fn serve<T, H, W>(
    handler: &H,
    api: &mut Api<W>,
    traced: bool,
) -> Result<Infallible, Error>
where
    T: FromEvent,
    H: LambdaHandler<T>,
    W: Transport,
{
    panics::remember();
    loop {
        let Invocation { context, event } = api.next().await?;
        if traced {
            trace::set(context.trace_id());
        }
        let watch = api.watch(&context);
        let answer = current::with(&context, guard(answer(handler, event, context.clone())));
        let answer = W::handle(&context, answer).await;
        match answer {
            Ok(Answer::Whole(response)) => {
                drop(watch);
                logs::flush();
                api.respond(&context, response).await?;
            }
            // Its body is the function's own, too.
            Ok(Answer::Stream(start, body)) => {
                api.stream(&context, start, body).await?;
                drop(watch);
            }
            Err(failure) => {
                drop(watch);
                logs::failure(context.request_id(), &failure);
                logs::flush();
                api.fail(&context, &failure).await?;
            }
        }
    }
}

/// All that is the function's own, and may panic: its event, its handler, its response and how its errors display.
async fn answer<T, H>(
    handler: &H,
    event: Raw,
    context: Context,
) -> Result<Answer<<H::Response as Respond>::Body>, Failure>
where
    T: FromEvent,
    H: LambdaHandler<T>,
{
    let event = T::from_event(event).map_err(|error| Failure::unmarshal(&error))?;
    let response = handler.handle(event, context).await;
    let response = response.map_err(IntoFailure::into_failure)?;
    response
        .into_answer()
        .map_err(|error| Failure::marshal(&error))
}
