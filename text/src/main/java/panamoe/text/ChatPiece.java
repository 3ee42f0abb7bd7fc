package panamoe.text;

/**
 * What comes next of a reply. Calls come with the whole reply.
 *
 * @param reasoning of its thoughts; may be empty
 * @param content of its content; may be empty
 */
public record ChatPiece(String reasoning, String content) {}
