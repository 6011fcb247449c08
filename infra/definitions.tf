# Run tasks and policies as the functions read them: one item each, its body the definition's JSON.
locals {
  # A field that is null was not given. A check's job is taken as it is.
  definitions = {
    for name, task in var.tasks : name => merge(
      { for field, value in task : field => value if value != null && field != "checks" },
      { name = name, checks = [for check in task.checks : { for field, value in check : field => value if value != null }] },
    )
  }
}

resource "aws_dynamodb_table_item" "task" {
  for_each = local.definitions

  table_name = aws_dynamodb_table.this.name
  hash_key   = aws_dynamodb_table.this.hash_key
  range_key  = aws_dynamodb_table.this.range_key
  item       = jsonencode({ pk = { S = "TASKS" }, sk = { S = each.key }, body = { S = jsonencode(each.value) } })

  # No task asks for a policy that is not there.
  depends_on = [aws_dynamodb_table_item.policy]
}

resource "aws_dynamodb_table_item" "policy" {
  for_each = var.policies

  table_name = aws_dynamodb_table.this.name
  hash_key   = aws_dynamodb_table.this.hash_key
  range_key  = aws_dynamodb_table.this.range_key
  item = jsonencode({
    pk   = { S = "POLICIES" }
    sk   = { S = each.key }
    body = { S = jsonencode({ modules = each.value.modules, data = jsondecode(each.value.data) }) }
  })
}
