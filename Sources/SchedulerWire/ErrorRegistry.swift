/// The one registry of the errors that a requester can see.
///
/// The raw value is the `err_code`: once released, a number keeps its meaning for ever and is never given to another
/// error. Its first two digits are the area: 10 the request's shape, 20 what is not there or in conflict, 30 what the
/// sender may not do, 40 limits, 50 the service itself.
package enum ErrorCode: Int, Sendable, CaseIterable {
    case badJSON = 10400
    case badSubject = 10401
    case tooDeep = 10402
    case notAnObject = 10403
    case unknownCommand = 10404
    case badCursor = 10405
    case methodNotAllowed = 10406
    case requestTooLarge = 10413
    case unsupportedMediaType = 10415
    case invalidRequest = 10422
    case unknownField = 10423
    case wrongType = 10424
    case missingField = 10425
    case invalidValue = 10426
    case conflictingFields = 10427
    case invalidTiming = 10428
    case neverFires = 10429
    case unknownTimezone = 10430

    case scheduleNotFound = 20404
    case executionNotFound = 20405
    case targetNotFound = 20406
    case deadLetterNotFound = 20408
    case nameTaken = 20409
    case versionMismatch = 20410
    case requestIDReused = 20411
    case wrongState = 20412
    case requestInProgress = 20413
    case historyNotKept = 20422
    case dependencyCycle = 20423
    case calendarNotFound = 20430
    case calendarInUse = 20431
    case freezeNotFound = 20432
    case frozen = 20433
    case targetInFile = 20434
    case overlapping = 20435
    case instanceNotFound = 20450

    case unauthenticated = 30401
    case namespaceForbidden = 30402
    case targetNotAllowed = 30403
    case targetReserved = 30404
    case deliveryNotAllowed = 30405
    case sourceNotAllowed = 30406
    case sourceReserved = 30407
    case notPermitted = 30408
    case payloadTooLarge = 30413
    case payloadInvalid = 30422
    case headerRefused = 30423

    case scheduleLimit = 40403
    case intervalTooShort = 40404
    case bufferFull = 40409
    case tooManyItems = 40413
    case rateLimited = 40429

    case internalError = 50500
    case notSupported = 50501
    case notReady = 50503
    case timedOut = 50504
    case databaseUnavailable = 50505
    case natsUnavailable = 50506
    case draining = 50507

    /// The `err_code` on the wire.
    package var errCode: Int { rawValue }

    /// The class of the error as an HTTP status.
    package var httpStatus: Int { entry.httpStatus }

    /// When a requester meets it, for the documentation.
    package var meaning: String { entry.meaning }

    /// The name in documentation, logs and metrics: `schedule_not_found`.
    package var name: String {
        let letters = Array(String(describing: self))
        var name = ""
        for (index, letter) in letters.enumerated() {
            // A word begins at a capital after a small letter, and at the last capital of a run: requestIDReused.
            let endsRun = index + 1 < letters.count && letters[index + 1].isLowercase
            if letter.isUppercase, index > 0, endsRun || letters[index - 1].isLowercase { name += "_" }
            name += letter.lowercased()
        }
        return name
    }
}

// MARK: - The table

extension ErrorCode {
    private var entry: (httpStatus: Int, meaning: String) {
        switch rawValue / 1000 {
        case 10: requestEntry
        case 20: conflictEntry
        case 30: permissionEntry
        case 40: limitEntry
        default: serviceEntry
        }
    }

    private var requestEntry: (Int, String) {
        switch self {
        case .badSubject: (400, "a token of the request's subject is malformed")
        case .tooDeep: (400, "the body nests deeper than is read")
        case .notAnObject: (400, "the body is JSON but no object")
        case .unknownCommand: (404, "no such noun or verb")
        case .badCursor: (400, "the cursor is none that a list returned")
        case .methodNotAllowed: (405, "the path of an HTTP request takes other methods")
        case .unsupportedMediaType: (415, "the body of an HTTP request is not announced as JSON in UTF-8")
        case .requestTooLarge: (413, "the body is longer than is read")
        case .invalidRequest: (422, "the body has problems of several kinds; details names each")
        case .unknownField: (422, "a field that the command does not have")
        case .wrongType: (422, "a field's value has another JSON type than the field")
        case .missingField: (422, "a required field is not there")
        case .invalidValue: (422, "a field's value is outside of what the field allows")
        case .conflictingFields: (422, "two fields exclude each other")
        case .invalidTiming: (422, "a cron expression, interval or recurrence that cannot be read")
        case .neverFires: (422, "a timing that has no occurrence")
        case .unknownTimezone: (422, "a time zone that the system's tzdata does not have")
        default: (400, "the body is no JSON, repeats a name or is not UTF-8")
        }
    }

    private var conflictEntry: (Int, String) {
        switch self {
        case .executionNotFound: (404, "no execution of that id in the namespace")
        case .targetNotFound: (404, "no such entry in the allow-list")
        case .deadLetterNotFound: (404, "no execution that gave up has that id")
        case .nameTaken: (409, "another schedule of the namespace has the name")
        case .versionMismatch: (409, "the schedule moved on from if_version")
        case .requestIDReused: (409, "the request_id was used with another body within 24 h")
        case .wrongState: (409, "the schedule's or execution's state does not allow it")
        case .requestInProgress: (409, "the same request_id is being worked on")
        case .historyNotKept: (422, "the time lies before the history that is kept")
        case .calendarNotFound: (404, "no calendar of that name in the namespace")
        case .calendarInUse: (409, "schedules use the calendar; the description names some")
        case .freezeNotFound: (404, "no freeze of that id")
        case .instanceNotFound: (404, "no member has that id or name")
        case .frozen: (409, "a freeze holds the schedule's namespace or target")
        case .targetInFile: (409, "TARGETS_FILE allows the target, and no command changes that file")
        case .overlapping: (409, "as many executions of the schedule are open as may be at once")
        case .dependencyCycle: (422, "a chain of after comes back to itself")
        default: (404, "no schedule of that id or name in the namespace")
        }
    }

    private var permissionEntry: (Int, String) {
        switch self {
        case .unauthenticated: (401, "no valid bearer token")
        case .namespaceForbidden: (403, "the token is bound to another namespace")
        case .targetReserved: (403, "a subject that nobody may schedule: $, _INBOX or the scheduler's own")
        case .deliveryNotAllowed: (403, "the target is allowed, but not with this delivery")
        case .sourceNotAllowed: (403, "the event_subject is not on the namespace's list of sources")
        case .sourceReserved:
            (403, "a subject that nobody may listen to: $, _INBOX, the scheduler's own, or a wildcard first")
        case .notPermitted: (403, "what the bearer token may not do, or the page of another origin")
        case .payloadTooLarge: (413, "payload and headers exceed the target's or the server's limit")
        case .payloadInvalid: (422, "the payload does not satisfy the target's schema")
        case .headerRefused: (422, "a header's name or value is reserved or malformed")
        default: (403, "the target is not on the namespace's allow-list")
        }
    }

    private var limitEntry: (Int, String) {
        switch self {
        case .scheduleLimit: (403, "the namespace has as many schedules as it may")
        case .intervalTooShort: (422, "the schedule would recur more often than the namespace's may")
        case .bufferFull: (409, "as many executions of the schedule wait as it may keep")
        case .tooManyItems: (413, "more items in one request than are taken")
        default: (429, "the namespace sends more commands than its rate allows")
        }
    }

    private var serviceEntry: (Int, String) {
        switch self {
        case .notSupported: (501, "a feature that this version does not have")
        case .notReady: (503, "the instance is starting or has lost what it needs")
        case .timedOut: (504, "the answer was not found in time; the change may have happened")
        case .databaseUnavailable: (503, "PostgreSQL does not answer")
        case .natsUnavailable: (503, "NATS does not answer")
        case .draining: (503, "the instance is going away; ask again")
        default: (500, "a fault of the service; the log has more")
        }
    }
}
