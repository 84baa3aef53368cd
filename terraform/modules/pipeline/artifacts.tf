# -- the key of the artifacts and of the approvals' topic -------------------------------------------------------------

data "aws_iam_policy_document" "key" {
  #checkov:skip=CKV_AWS_109:a key's policy speaks of the key alone; the account's administrators have to keep access
  #checkov:skip=CKV_AWS_111:a key's policy speaks of the key alone
  #checkov:skip=CKV_AWS_356:a key's policy speaks of the key alone
  statement {
    sid       = "Administrators"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root"]
    }
  }

  statement {
    sid       = "Pipeline"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = [aws_iam_role.pipeline.arn]
    }
  }
}

resource "aws_kms_key" "this" {
  description             = "Artifacts and approvals of pipeline ${var.class}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.key.json
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.class}-pipeline"
  target_key_id = aws_kms_key.this.key_id
}

# -- the bucket of the artifacts -------------------------------------------------------------------------------------

module "artifacts" {
  source = "../internal/bucket"

  prefix          = "${var.class}-artifacts"
  kms_key_arn     = aws_kms_key.this.arn
  expiration_days = var.artifact_days
  noncurrent_days = 7
}
