//! AWS Lambda: functions that are made of images.

use aws_sdk_lambda::types::{FunctionVersion, PackageType};
use coalmine_door::AwsError;

use super::Place;
use super::buckets::Bucket;

/// A version of a function, `$LATEST` included.
#[derive(Clone, Debug)]
pub struct Function {
    /// The function's name.
    pub name: String,
    /// The version.
    pub version: String,
}

/// The image of a function's version.
#[derive(Clone, Debug)]
pub struct FunctionImage {
    /// `ImageUri`, as it was written.
    pub image: String,
    /// `ResolvedImageUri`: the digest that really runs.
    pub resolved: Option<String>,
}

impl Place {
    /// Every version of every function that is made of an image. An alias leads to one of these.
    ///
    /// # Errors
    /// When not every page can be read.
    pub async fn functions(&self) -> Result<Vec<Function>, AwsError> {
        const OPERATION: &str = "lambda ListFunctions";
        let pages = self.calls.pages(Bucket::Lambda, OPERATION, |token| async {
            let request = self.lambda.list_functions().function_version(FunctionVersion::All);
            let output = request.set_marker(token).send().await.map_err(|error| AwsError::of(OPERATION, &error))?;
            Ok((output.functions.unwrap_or_default(), output.next_marker))
        });
        // Zip is what has certainly no image.
        let with_image = |function: &aws_sdk_lambda::types::FunctionConfiguration| {
            !matches!(function.package_type(), None | Some(PackageType::Zip))
        };
        let functions = pages.await?.into_iter().filter(with_image);
        let functions = functions.map(|function| Function {
            name: function.function_name.unwrap_or_default(),
            version: function.version.unwrap_or_else(|| String::from("$LATEST")),
        });
        Ok(functions.collect())
    }

    /// What a version of a function runs; `None` if it is gone.
    ///
    /// # Errors
    /// When Lambda cannot be asked, or names no image.
    pub async fn function_image(&self, function: &Function) -> Result<Option<FunctionImage>, AwsError> {
        const OPERATION: &str = "lambda GetFunction";
        let asked = self.calls.one(Bucket::LambdaFunction, OPERATION, || async {
            let request = self.lambda.get_function().function_name(&function.name).qualifier(&function.version);
            request.send().await.map_err(|error| AwsError::of(OPERATION, &error))
        });
        let output = match asked.await {
            Ok(output) => output,
            Err(error) if error.is("ResourceNotFoundException") => return Ok(None),
            Err(error) => return Err(error),
        };
        let code = output.code.unwrap_or_else(|| aws_sdk_lambda::types::FunctionCodeLocation::builder().build());
        let (image, resolved) = (code.image_uri, code.resolved_image_uri);
        let Some(image) = image.or_else(|| resolved.clone()) else {
            let Function { name, version } = function;
            return Err(AwsError::unusable(OPERATION, format!("no image of the function {name}:{version}")));
        };
        Ok(Some(FunctionImage { image, resolved }))
    }
}
