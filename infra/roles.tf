locals {
  statements = {
    for name, function in local.enabled : name => [for statement in [
      {
        Sid    = "Logs"
        Effect = "Allow"
        Action = ["logs:CreateLogStream", "logs:PutLogEvents"]
        # Lambda names the streams of the group.
        Resource = ["${aws_cloudwatch_log_group.function[name].arn}:*"]
      },
      length(function.table) == 0 ? null : {
        Sid      = "Table"
        Effect   = "Allow"
        Action   = function.table
        Resource = [aws_dynamodb_table.this.arn]
      },
      length(function.due_index) == 0 ? null : {
        Sid      = "DueIndex"
        Effect   = "Allow"
        Action   = function.due_index
        Resource = ["${aws_dynamodb_table.this.arn}/index/due"]
      },
      length(function.bells) == 0 ? null : {
        Sid      = "Stream"
        Effect   = "Allow"
        Action   = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"]
        Resource = [aws_dynamodb_table.this.stream_arn]
      },
      length(function.bells) == 0 ? null : {
        Sid    = "ListStreams"
        Effect = "Allow"
        Action = ["dynamodb:ListStreams"]
        # The action knows no resource; it tells names of streams.
        Resource = ["*"]
      },
      var.table_kms_key_arn == null || length(concat(function.table, function.due_index)) == 0 ? null : {
        Sid       = "TableKey"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = [var.table_kms_key_arn]
        Condition = { StringEquals = { "kms:ViaService" = ["dynamodb.${local.region}.${local.dns_suffix}"] } }
      },
      length(local.parameters[name]) == 0 ? null : {
        Sid      = "Parameters"
        Effect   = "Allow"
        Action   = ["ssm:GetParameter"]
        Resource = local.parameters[name]
      },
      length(local.secrets[name]) == 0 ? null : {
        Sid      = "Secrets"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = local.secrets[name]
      },
      length(local.references[name]) == 0 || length(var.secrets_kms_key_arns) == 0 ? null : {
        Sid      = "SecretsKeys"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = var.secrets_kms_key_arns
        Condition = { StringEquals = { "kms:ViaService" = flatten([
          for region in distinct([for arn in var.secrets_kms_key_arns : split(":", arn)[3]]) :
          ["ssm.${region}.${local.dns_suffix}", "secretsmanager.${region}.${local.dns_suffix}"]
        ]) } }
      },
      local.networks[name] == null ? null : {
        Sid    = "Network"
        Effect = "Allow"
        Action = [
          "ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface",
          "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses",
        ]
        # Lambda asks for all, as it makes and removes interfaces whose names nobody knows before.
        Resource = ["*"]
      },
      local.networks[name] == null ? null : {
        Sid    = "NetworkForLambdaOnly"
        Effect = "Deny"
        Action = [
          "ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface",
          "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses",
        ]
        # What Lambda does for the function, the function itself may not.
        Resource  = ["*"]
        Condition = { ArnEquals = { "lambda:SourceFunctionArn" = [local.function_arns[name]] } }
      },
      !var.tracing ? null : {
        Sid    = "Traces"
        Effect = "Allow"
        Action = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
        # The actions know no resource.
        Resource = ["*"]
      },
    ] : statement if statement != null]
  }

  function_arns = {
    for name, function in local.enabled : name => "arn:${local.partition}:lambda:${local.region}:${local.account}:function:${var.name}-${name}"
  }
}

resource "aws_iam_role" "function" {
  for_each = local.enabled

  name                 = "${var.name}-${each.key}"
  description          = each.value.description
  permissions_boundary = var.permissions_boundary
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy" "function" {
  for_each = local.enabled

  name   = "sluice"
  role   = aws_iam_role.function[each.key].id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.statements[each.key] })
}
