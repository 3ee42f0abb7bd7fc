package panamoe.text;

/**
 * A finished reply.
 *
 * @param message of the assistant: content, thoughts and calls, to append to the conversation
 * @param text the completion without special tokens, and its finish reason. If it was cut off, the
 *     arguments of the last call may be incomplete
 */
public record ChatReply(ChatMessage message, GenerationResult text) {}
