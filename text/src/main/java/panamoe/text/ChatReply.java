package panamoe.text;

/**
 * A reply that has ended.
 *
 * @param message the assistant's: what it says, thinks and calls. A conversation goes on behind it
 * @param text as the model wrote it, without special tokens, and why it ended. Where a limit cut
 *     it, the arguments of the last call may be cut off too
 */
public record ChatReply(ChatMessage message, GenerationResult text) {}
