//! Lambda functions, every version; an alias leads to one of these.

use coalmine_door::AwsError;

use super::{Found, From};
use crate::aws::lambda::{Code, Function};
use crate::in_use::{Step, Use, Used};

pub(super) async fn read(from: From<'_>) -> Result<Found, AwsError> {
    let mut found = Found::default();
    let mut missing: Vec<Function> = Vec::new();
    for function in from.place.functions().await? {
        let code = match from.place.function_code(&function).await? {
            Code::Image(code) => code,
            Code::Archive => continue,
            Code::Gone => {
                missing.push(function);
                continue;
            }
        };
        let by = vec![Step::Function(function.name.as_str().into(), function.version.as_str().into())];
        // ResolvedImageUri is a reference by digest: what really runs, whatever the tag names now.
        for text in code.resolved.into_iter().chain([code.image]) {
            found.uses.push(Use { by: by.clone(), of: Used::Image { text: text.into(), digest: None } });
        }
    }
    // A version that was deleted since it was listed is not listed any more.
    if !missing.is_empty() {
        let again = from.place.functions().await?;
        if let Some(Function { name, version }) = missing.iter().find(|function| again.contains(function)) {
            let words = format!("{name}:{version} is listed, but cannot be described");
            return Err(AwsError::unusable("lambda GetFunction", words));
        }
    }
    Ok(found)
}
