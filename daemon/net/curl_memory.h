/* libcurl's memory, wiped when it is freed: without it a copy of each key stays in the heap. */
#pragma once

/* Initialises libcurl, once per process. Before any other use of it; aborts when it cannot. */
void curl_memory_init(void);
