/**
 * Replies: thoughts, content and calls in a model's completion. Each kind of syntax has its own
 * file.
 */
package panamoe.conversation.reply;
