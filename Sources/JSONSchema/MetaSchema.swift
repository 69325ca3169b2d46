import JSONText

/// What draft-07 allows in a schema, as a schema: it is what each schema is checked with before it is compiled, and
/// what a `$ref` to `http://json-schema.org/draft-07/schema#` finds, so that it needs no network.
enum MetaSchema {
    static let address = "http://json-schema.org/draft-07/schema"

    static let document: Result<JSONValue, JSONError> = Result { () throws(JSONError) in try JSONValue.parse(text) }

    static let compiled: Result<CompiledSchema, any Error> = Result {
        try CompiledSchema(trusting: try document.get())
    }

    private static let text = """
        {"$id": "http://json-schema.org/draft-07/schema#", "type": ["object", "boolean"],
         "definitions": {
           "schema": {"$ref": "#"},
           "schemas": {"type": "array", "minItems": 1, "items": {"$ref": "#"}},
           "map": {"type": "object", "additionalProperties": {"$ref": "#"}},
           "count": {"type": "integer", "minimum": 0},
           "names": {"type": "array", "items": {"type": "string"}, "uniqueItems": true},
           "type": {"enum": ["array", "boolean", "integer", "null", "number", "object", "string"]}},
         "properties": {
           "$id": {"type": "string"}, "$schema": {"type": "string"}, "$ref": {"type": "string"},
           "$comment": {"type": "string"}, "title": {"type": "string"}, "description": {"type": "string"},
           "readOnly": {"type": "boolean"}, "writeOnly": {"type": "boolean"}, "examples": {"type": "array"},
           "format": {"type": "string"}, "contentMediaType": {"type": "string"},
           "contentEncoding": {"type": "string"},
           "multipleOf": {"type": "number", "exclusiveMinimum": 0},
           "maximum": {"type": "number"}, "exclusiveMaximum": {"type": "number"},
           "minimum": {"type": "number"}, "exclusiveMinimum": {"type": "number"},
           "maxLength": {"$ref": "#/definitions/count"}, "minLength": {"$ref": "#/definitions/count"},
           "pattern": {"type": "string"},
           "items": {"if": {"type": "array"}, "then": {"$ref": "#/definitions/schemas"}, "else": {"$ref": "#"}},
           "additionalItems": {"$ref": "#"}, "contains": {"$ref": "#"},
           "maxItems": {"$ref": "#/definitions/count"}, "minItems": {"$ref": "#/definitions/count"},
           "uniqueItems": {"type": "boolean"},
           "maxProperties": {"$ref": "#/definitions/count"}, "minProperties": {"$ref": "#/definitions/count"},
           "required": {"$ref": "#/definitions/names"},
           "properties": {"$ref": "#/definitions/map"}, "patternProperties": {"$ref": "#/definitions/map"},
           "additionalProperties": {"$ref": "#"}, "propertyNames": {"$ref": "#"},
           "definitions": {"$ref": "#/definitions/map"},
           "dependencies": {"type": "object", "additionalProperties": {
             "if": {"type": "array"}, "then": {"$ref": "#/definitions/names"}, "else": {"$ref": "#"}}},
           "enum": {"type": "array"},
           "type": {"if": {"type": "array"},
             "then": {"items": {"$ref": "#/definitions/type"}, "minItems": 1, "uniqueItems": true},
             "else": {"$ref": "#/definitions/type"}},
           "if": {"$ref": "#"}, "then": {"$ref": "#"}, "else": {"$ref": "#"}, "not": {"$ref": "#"},
           "allOf": {"$ref": "#/definitions/schemas"}, "anyOf": {"$ref": "#/definitions/schemas"},
           "oneOf": {"$ref": "#/definitions/schemas"}}}
        """
}
