//! Lambda functions, every version; an alias leads to one of these.

use coalmine_door::AwsError;

use super::{Found, From};
use crate::in_use::{Step, Use, Used};

pub(super) async fn read(from: From<'_>) -> Result<Found, AwsError> {
    let mut found = Found::default();
    for function in from.place.functions().await? {
        let Some(code) = from.place.function_image(&function).await? else { continue };
        let by = vec![Step::Function(function.name.as_str().into(), function.version.as_str().into())];
        // ResolvedImageUri is a reference by digest: what really runs, whatever the tag names now.
        for text in code.resolved.into_iter().chain([code.image]) {
            found.uses.push(Use { by: by.clone(), of: Used::Image { text: text.into(), digest: None } });
        }
    }
    Ok(found)
}
