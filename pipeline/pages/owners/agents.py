"""The names by which site owners address crawlers, in robots.txt and in robots tags."""

PRODUCT = "webtext"  # our product token

# Crawlers that collect pages to train models, or for data sets on which models are trained, by
# what their operators say to site owners. Not those that search, or fetch a page that a person
# asked for (OAI-SearchBot, ChatGPT-User, PerplexityBot): to disallow them says nothing of training.
# Sources: the operators' pages on their crawlers, Cloudflare's managed robots.txt, and the list of
# github.com/ai-robots-txt/ai.robots.txt, all as of 2026-08-22.
AI_AGENTS = (
    *("GPTBot", "ClaudeBot", "anthropic-ai", "Claude-Web", "Google-Extended"),
    *("Applebot-Extended", "CCBot", "meta-externalagent", "FacebookBot", "Bytespider"),
    *("TikTokSpider", "Amazonbot", "cohere-ai", "cohere-training-data-crawler", "AI2Bot"),
    *("Ai2Bot-Dolma", "DeepSeekBot", "Diffbot", "omgili", "omgilibot", "Webzio-Extended"),
    *("PanguBot", "SBIntuitionsBot", "Cotoyogi", "Timpibot", "YandexAdditional"),
    *("YandexAdditionalBot", "VelenPublicWebCrawler", "LAIONDownloader", "img2dataset"),
    "laion-huggingface-processor",
)
