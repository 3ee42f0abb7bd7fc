package panamoe.harness.serve.openai;

import java.io.IOException;
import java.util.List;
import panamoe.conversation.ChatFormat;
import panamoe.conversation.Tools;
import panamoe.engine.GenerationRequest;
import panamoe.harness.serve.completion.CompletionPrompts;
import panamoe.harness.serve.completion.CompletionRequest;
import panamoe.harness.serve.completion.Completions;
import panamoe.harness.serve.completion.Conversation;
import panamoe.harness.serve.completion.ResponseForm;
import panamoe.harness.serve.completion.StreamedChoice;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.http.Fields;
import panamoe.harness.serve.http.HttpExchange;
import panamoe.harness.serve.model.ServedModel;
import tools.jackson.databind.node.IntNode;
import tools.jackson.databind.node.JsonNodeFactory;

/** OpenAI's chat completions and completions. Thread-safe. */
public record OpenAiEndpoint(ServedModel model, Completions completions) {
  /**
   * Bytes of a token of a prompt in a response and before, and of each of its most probable ones.
   */
  private static final long ECHOED = 256;

  private static final long ECHOED_LOGPROB = 192;

  public void chat(HttpExchange call) throws IOException, InterruptedException {
    Fields fields = call.fields();
    model.requireNamed(fields);
    Conversation conversation = Conversation.of(fields, model.requireChat());
    boolean logprobs = fields.flag("logprobs");
    int top = fields.integer("top_logprobs", 0, 0, GenerationRequest.MOST_LOGPROBS);
    fields.require(top <= 0 || logprobs, "top_logprobs", "asks for logprobs to be true");
    fields.refuse("functions", "function_call", "audio", "web_search_options");
    fields.refuseExcept("modalities", JsonNodeFactory.instance.arrayNode().add("text"));
    fields.ignore("verbosity");
    completions.converse(
        call,
        fields,
        conversation,
        logprobs ? top : -1,
        request -> new ChatForm(completions.head("chatcmpl-", fields), request, model.tokenizer()));
  }

  public void complete(HttpExchange call) throws IOException, InterruptedException {
    Fields fields = call.fields();
    model.requireNamed(fields);
    List<int[]> prompts =
        CompletionPrompts.of(
            fields,
            "prompt",
            text -> GenerationRequest.tokensOf(text, model.tokenizer()),
            model.vocabulary());
    int logprobs = fields.integer("logprobs", -1, 0, GenerationRequest.MOST_LOGPROBS);
    boolean echo = fields.flag("echo");
    fields.refuse("suffix");
    fields.refuseExcept("best_of", IntNode.valueOf(1));
    if (fields.take("tools") != null) {
      throw ApiError.unsupported("tools belong to chat: ask /v1/chat/completions", "tools");
    }
    CompletionRequest request =
        completions.read(call, fields, prompts, Tools.NONE, logprobs, ChatFormat.Ends.NONE);
    if (echo) {
      call.reserve(
          request.n() * request.promptTokens() * (ECHOED + Math.max(0, logprobs) * ECHOED_LOGPROB));
      request = request.echoing();
    }
    ResponseForm form =
        new CompletionForm(completions.head("cmpl-", fields), request, model.tokenizer());
    completions.write(call, fields, request, form, () -> new StreamedChoice(null));
  }
}
