package panamoe.text;

/**
 * The next piece of a reply. Calls come only with the whole reply.
 *
 * @param reasoning next part of its thoughts; may be empty
 * @param content next part of its content; may be empty
 */
public record ChatPiece(String reasoning, String content) {}
