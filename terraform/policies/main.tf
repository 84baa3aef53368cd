# Renders the policies of both programs for an imaginary account, so that they can be read, reviewed and tested without
# one: the JSON files beside this page are what the modules say. Nobody applies this to a real account.
#
# The names are those of the stories in tests/: cluster main, repositories and log groups of any name, one execution role.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.25, < 7.0"
    }
  }
}

provider "aws" {
  region = "eu-central-1"
}

locals {
  here = "eu-central-1:123456789012"

  surroundings = {
    cluster_arn = "arn:aws:ecs:${local.here}:cluster/main"
    vpc_id      = "vpc-0123456789abcdef0"
    subnet_ids  = ["subnet-0123456789abcdef0", "subnet-0fedcba9876543210"]
    key         = "arn:aws:kms:${local.here}:key/00000000-0000-0000-0000-000000000000"
    registry    = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
  }
}

module "worker" {
  source = "../modules/worker"

  image           = "${local.surroundings.registry}/coalmine-worker:8c1f2ab"
  cluster_arn     = local.surroundings.cluster_arn
  vpc_id          = local.surroundings.vpc_id
  subnet_ids      = local.surroundings.subnet_ids
  kms_key         = { arn = local.surroundings.key }
  service_arns    = ["arn:aws:ecs:${local.here}:service/main/*"]
  task_role_arns  = ["arn:aws:iam::123456789012:role/app", "arn:aws:iam::123456789012:role/execution"]
  repository_arns = ["arn:aws:ecr:${local.here}:repository/*"]
  log_group_arns  = ["arn:aws:logs:${local.here}:log-group:/ecs/*"]
}

module "janitor" {
  source = "../modules/janitor"

  image         = "${local.surroundings.registry}/coalmine-janitor:8c1f2ab"
  cluster_arn   = local.surroundings.cluster_arn
  vpc_id        = local.surroundings.vpc_id
  subnet_ids    = local.surroundings.subnet_ids
  policy        = "# the default"
  state         = { bucket = module.worker.ledger_bucket, kms_key_arn = module.worker.kms_key_arn }
  ledger_prefix = module.worker.ledger_prefix

  reader_role_arns = ["arn:aws:iam::210987654321:role/coalmine-reader"]
}

output "policies" {
  description = "The policies by the file that holds them."
  value = {
    worker           = module.worker.policies.task
    worker-execution = module.worker.policies.execution
    janitor-scan     = module.janitor.policies.scan
    janitor-sweep    = module.janitor.policies.sweep
    janitor-schedule = module.janitor.policies.schedule
  }
}
